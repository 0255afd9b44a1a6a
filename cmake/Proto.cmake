# Proto.cmake - from proto/schema to C tables (built each time) and to the reference (committed).

set(AGENT_SCHEMA_DIR ${PROJECT_SOURCE_DIR}/proto/schema)
set(AGENT_REFERENCE_DIR ${PROJECT_SOURCE_DIR}/proto/reference)

# agent_generate(WIRE CONF): runs the built protogen; the variables get the generated files that belong to
# proto/wire (included as "proto/wire/broker_gen.h") and to proto/conf.
function(agent_generate wire conf)
  file(GLOB schema CONFIGURE_DEPENDS ${AGENT_SCHEMA_DIR}/*.json)
  set(wire_files "")
  set(conf_files "")
  foreach(file IN LISTS schema)
    get_filename_component(protocol ${file} NAME_WE)
    if(protocol STREQUAL "config")
      list(APPEND conf_files ${AGENT_GENERATED_DIR}/proto/conf/config_gen.c)
    else()
      list(APPEND wire_files
        ${AGENT_GENERATED_DIR}/proto/wire/${protocol}_gen.h ${AGENT_GENERATED_DIR}/proto/wire/${protocol}_gen.c)
    endif()
  endforeach()
  add_custom_command(
    OUTPUT ${wire_files} ${conf_files}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${AGENT_GENERATED_DIR}
    COMMAND protogen --schema ${AGENT_SCHEMA_DIR} --out ${AGENT_GENERATED_DIR}
    DEPENDS protogen ${schema}
    COMMENT "protogen: schema -> tables"
    VERBATIM)
  # Rewrites what is committed; tests/lint says when that is due.
  add_custom_target(reference
    COMMAND protogen --schema ${AGENT_SCHEMA_DIR} --docs ${AGENT_REFERENCE_DIR}
    COMMENT "protogen: schema -> proto/reference"
    VERBATIM)
  set(${wire} ${wire_files} PARENT_SCOPE)
  set(${conf} ${conf_files} PARENT_SCOPE)
endfunction()
