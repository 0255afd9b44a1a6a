# analyze: clang-tidy on every file while it compiles. With -DCMAKE_C_COMPILER=gcc behind this line: gcc's -fanalyzer.
set(CMAKE_C_COMPILER clang CACHE STRING "")
set(CMAKE_BUILD_TYPE Debug CACHE STRING "")
set(AGENT_WERROR ON CACHE BOOL "")
set(AGENT_ANALYZE ON CACHE BOOL "")
