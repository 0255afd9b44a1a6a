# Lint.cmake - the rules of form, each a script of tests/lint that ctest runs with the label 'lint'.
#
# A script gets the top of the tree as its first argument, so that it can be tried on any copy.

find_program(AGENT_SH sh REQUIRED)
find_program(AGENT_CLANG_FORMAT NAMES clang-format-14 clang-format)

# agent_lint(NAME SCRIPT file.sh [ENV name=value ...])
function(agent_lint name)
  cmake_parse_arguments(arg "" "SCRIPT" "ENV" ${ARGN})
  add_test(NAME ${name} COMMAND ${AGENT_SH} ${PROJECT_SOURCE_DIR}/tests/lint/${arg_SCRIPT} ${PROJECT_SOURCE_DIR})
  agent_test_properties(${name} lint 120)
  set_property(TEST ${name} APPEND PROPERTY ENVIRONMENT ${arg_ENV})
endfunction()

# Rewrites the sources in the project's form.
if(AGENT_CLANG_FORMAT)
  add_custom_target(format
    COMMAND ${CMAKE_COMMAND} -E env CLANG_FORMAT=${AGENT_CLANG_FORMAT} LINT_FIX=1
      ${AGENT_SH} ${PROJECT_SOURCE_DIR}/tests/lint/format.sh ${PROJECT_SOURCE_DIR}
    COMMENT "clang-format" VERBATIM)
endif()
