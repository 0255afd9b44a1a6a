# Tests.cmake - how a test is declared. Exit code 77 means: this kernel or machine lacks something, skipped.

set(AGENT_SKIPPED 77)

# What every test finds in its environment: the built programs, the fakes, the sources.
set(AGENT_TEST_ENVIRONMENT
  AGENT_TEST_BIN=${PROJECT_BINARY_DIR}/bin
  AGENT_TEST_LIBEXEC=${PROJECT_BINARY_DIR}/libexec/agentd
  AGENT_TEST_FAKE=${PROJECT_BINARY_DIR}/tests/fake
  AGENT_TEST_SRC=${PROJECT_SOURCE_DIR}
  "ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:exitcode=99"
  "UBSAN_OPTIONS=print_stacktrace=1"
  "TSAN_OPTIONS=exitcode=99")

# Properties that all kinds of tests share.
function(agent_test_properties name label timeout)
  set_tests_properties(${name} PROPERTIES
    LABELS ${label}
    TIMEOUT ${timeout}
    SKIP_RETURN_CODE ${AGENT_SKIPPED}
    ENVIRONMENT "${AGENT_TEST_ENVIRONMENT}")
endfunction()

# agent_test(NAME LABEL unit SOURCES a.c ... LIBS lib ... [WRAP symbol ...] [TIMEOUT seconds])
# Sources are relative to the calling folder. WRAP: calls of the symbol go to __wrap_symbol of the test.
function(agent_test name)
  cmake_parse_arguments(arg "" "LABEL;TIMEOUT" "SOURCES;LIBS;WRAP" ${ARGN})
  if(NOT arg_LABEL OR NOT arg_SOURCES OR arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "agent_test(${name}): needs LABEL and SOURCES; does not know '${arg_UNPARSED_ARGUMENTS}'")
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 30)
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_LIBS} test_support PkgConfig::CMOCKA)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests/${arg_LABEL})
  foreach(symbol IN LISTS arg_WRAP)
    target_link_options(${name} PRIVATE -Wl,--wrap=${symbol})
  endforeach()
  add_test(NAME ${name} COMMAND ${name})
  agent_test_properties(${name} ${arg_LABEL} ${arg_TIMEOUT})
endfunction()
