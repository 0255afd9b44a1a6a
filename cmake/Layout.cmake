# Layout.cmake - where programs go, in the build tree exactly as when installed:
#
#   bin/agent  bin/agentd  libexec/agentd/agent-broker  libexec/agentd/agent-patch  libexec/agentd/agent-requirements
#   libexec/agentd/bin/apply_patch, applypatch -> ../agent-patch
#
# The programs find each other relative to /proc/self/exe, so this relation is fixed and only the prefix moves.

include(GNUInstallDirs)

if(NOT CMAKE_INSTALL_BINDIR STREQUAL "bin" OR NOT CMAKE_INSTALL_LIBEXECDIR STREQUAL "libexec")
  message(FATAL_ERROR "bin and libexec must be siblings under these names: the programs look there for each other")
endif()

set(AGENT_BIN_DIR ${CMAKE_INSTALL_BINDIR})
set(AGENT_LIBEXEC_DIR ${CMAKE_INSTALL_LIBEXECDIR}/agentd)

# agent_program(TARGET DIR target-dir [NAME output-name] SOURCES ... LIBS ...)
function(agent_program target)
  cmake_parse_arguments(arg "" "DIR;NAME" "SOURCES;LIBS" ${ARGN})
  add_executable(${target} ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE ${arg_LIBS})
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/${arg_DIR})
  if(arg_NAME)
    set_target_properties(${target} PROPERTIES OUTPUT_NAME ${arg_NAME})
  endif()
  install(TARGETS ${target} RUNTIME DESTINATION ${arg_DIR})
  set_property(GLOBAL APPEND PROPERTY AGENT_PROGRAMS ${target})
endfunction()

# agent_library(TARGET SOURCES ... LIBS ...): a static library, or nothing where there is no source yet.
function(agent_library target)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBS" ${ARGN})
  if(arg_SOURCES)
    add_library(${target} STATIC ${arg_SOURCES})
    target_link_libraries(${target} PUBLIC ${arg_LIBS})
  else()
    add_library(${target} INTERFACE)
    target_link_libraries(${target} INTERFACE ${arg_LIBS})
  endif()
endfunction()
