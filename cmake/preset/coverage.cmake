# coverage: counts the lines that the tests reach; `ninja coverage` prints them after ctest.
set(CMAKE_BUILD_TYPE Debug CACHE STRING "")
set(AGENT_COVERAGE ON CACHE BOOL "")
