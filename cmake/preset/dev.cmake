# dev: what developers and the test command build. Warnings are errors.
set(CMAKE_BUILD_TYPE Debug CACHE STRING "")
set(AGENT_WERROR ON CACHE BOOL "")
