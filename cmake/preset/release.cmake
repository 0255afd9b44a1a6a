# release: what users install; no tests.
set(CMAKE_BUILD_TYPE Release CACHE STRING "")
set(AGENT_TESTS OFF CACHE BOOL "")
