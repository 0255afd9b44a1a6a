# Systemd.cmake - units of the broker: for root with one instance for each user, and for a user's own.

set(AGENT_UNIT_DIR lib/systemd)

foreach(unit agent-broker@.socket agent-broker@.service)
  configure_file(cmake/systemd/${unit}.in systemd/system/${unit} @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/systemd/system/${unit} DESTINATION ${AGENT_UNIT_DIR}/system)
endforeach()
foreach(unit agent-broker.socket agent-broker.service)
  configure_file(cmake/systemd/${unit}.in systemd/user/${unit} @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/systemd/user/${unit} DESTINATION ${AGENT_UNIT_DIR}/user)
endforeach()
