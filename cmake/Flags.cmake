# Flags.cmake - how every object of this project is compiled and linked.
#
# C11 with GNU extensions. Each flag is probed, so gcc and clang take what they know. Warnings are errors only
# where AGENT_WERROR says so.

include(CheckCCompilerFlag)
include(CheckLinkerFlag)
include(CheckPIESupported)

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
check_pie_supported(LANGUAGES C)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

# Includes are spelled from the top: "proto/base/err.h", generated ones as "proto/wire/broker_gen.h".
set(AGENT_GENERATED_DIR ${PROJECT_BINARY_DIR}/generated)
include_directories(${PROJECT_SOURCE_DIR} ${AGENT_GENERATED_DIR})
add_compile_definitions(_GNU_SOURCE AGENT_VERSION="${PROJECT_VERSION}")

# __FILE__ and debug information name files from the top of the tree, wherever it was built.
add_compile_options(-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=)

# Adds each flag that the compiler knows. A negative warning flag is accepted by gcc whether known or not, so
# the positive form is what is probed.
function(agent_compile_flags)
  foreach(flag IN LISTS ARGN)
    string(REGEX REPLACE "^-Wno-" "-W" probe ${flag})
    string(MAKE_C_IDENTIFIER "AGENT_CC_HAS${probe}" known)
    check_c_compiler_flag("-Werror ${probe}" ${known})
    if(${known})
      add_compile_options(${flag})
    endif()
  endforeach()
endfunction()

function(agent_link_flags)
  foreach(flag IN LISTS ARGN)
    string(MAKE_C_IDENTIFIER "AGENT_LD_HAS${flag}" known)
    check_linker_flag(C ${flag} ${known})
    if(${known})
      add_link_options(${flag})
    endif()
  endforeach()
endfunction()

agent_compile_flags(
  -Wall -Wextra -Wpedantic
  -Wshadow -Wconversion -Wsign-conversion -Warith-conversion
  -Wswitch-enum -Wimplicit-fallthrough
  -Wvla -Walloca
  -Wformat=2 -Wformat-overflow=2 -Wformat-truncation=2 -Wformat-signedness
  -Wcast-qual -Wcast-align=strict -Wpointer-arith -Wwrite-strings
  -Wundef -Wunused-macros -Wdate-time
  -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wmissing-variable-declarations
  -Wredundant-decls -Wnested-externs
  -Wnull-dereference -Wlogical-op -Wduplicated-cond
  -Wstringop-overflow=4 -Warray-bounds=2 -Wtrampolines
  -Wcomma -Wunreachable-code -Wloop-analysis
  -Wno-missing-field-initializers # { 0 } and designated initialisers are how this project zeroes
)
if(AGENT_WERROR)
  add_compile_options(-Werror)
endif()

# Hardening. Zeroed locals come from the compiler, so that a forgotten field is the refusing value.
agent_compile_flags(
  -fstack-protector-strong
  -fstack-clash-protection
  -fcf-protection=full
  -fno-strict-overflow
  -fno-common
)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  agent_compile_flags(-ftrivial-auto-var-init=zero) # clang 14 has it behind a flag that it will not promise to keep
endif()
agent_link_flags(-Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,-z,separate-code -Wl,--as-needed)

set(CMAKE_C_FLAGS_DEBUG "-O1 -g") # -O1: fortification and the flow warnings need an optimiser
set(CMAKE_C_FLAGS_RELEASE "-O2 -DNDEBUG")
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  # A function that nothing calls is not shipped.
  agent_compile_flags(-ffunction-sections -fdata-sections)
  agent_link_flags(-Wl,--gc-sections)
endif()

if(AGENT_SANITIZE)
  # Fortified calls would hide from the sanitizers what they intercept.
  add_compile_options(-fsanitize=${AGENT_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${AGENT_SANITIZE})
elseif(NOT AGENT_ANALYZE AND NOT AGENT_COVERAGE)
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
endif()

if(AGENT_COVERAGE)
  add_compile_options(--coverage -fprofile-update=atomic -O0)
  add_link_options(--coverage)
endif()

if(AGENT_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "AGENT_FUZZ needs clang: cmake -C cmake/preset/fuzz.cmake ...")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

if(AGENT_ANALYZE)
  if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-fanalyzer)
  else()
    find_program(AGENT_CLANG_TIDY NAMES clang-tidy clang-tidy-14 REQUIRED)
    set(CMAKE_C_CLANG_TIDY ${AGENT_CLANG_TIDY} --quiet)
    if(AGENT_WERROR)
      list(APPEND CMAKE_C_CLANG_TIDY --warnings-as-errors=*)
    endif()
  endif()
endif()
