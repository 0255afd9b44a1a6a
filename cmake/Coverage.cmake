# Coverage.cmake - `ninja coverage` after ctest: the lines that the tests reached, per file, from gcov.

find_program(AGENT_GCOV NAMES gcov REQUIRED)
add_custom_target(coverage
  COMMAND ${CMAKE_COMMAND} -E env GCOV=${AGENT_GCOV} sh ${PROJECT_SOURCE_DIR}/cmake/coverage.sh
    ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}
  VERBATIM)
