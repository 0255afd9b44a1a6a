# asan: memory errors, leaks and undefined behaviour found while the tests run.
set(CMAKE_BUILD_TYPE Debug CACHE STRING "")
set(AGENT_WERROR ON CACHE BOOL "")
set(AGENT_SANITIZE "address,undefined" CACHE STRING "")
