# fuzz: the fuzz targets as libFuzzer programs, with the sanitizers on.
set(CMAKE_C_COMPILER clang CACHE STRING "")
set(CMAKE_BUILD_TYPE Debug CACHE STRING "")
set(AGENT_SANITIZE "address,undefined" CACHE STRING "")
set(AGENT_FUZZ ON CACHE BOOL "")
