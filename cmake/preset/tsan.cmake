# tsan: data races found while the tests run.
set(CMAKE_BUILD_TYPE Debug CACHE STRING "")
set(AGENT_WERROR ON CACHE BOOL "")
set(AGENT_SANITIZE "thread" CACHE STRING "")
