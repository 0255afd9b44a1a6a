# Deps.cmake - the libraries, found with pkg-config, and why each is here. Nothing is downloaded.

find_package(PkgConfig REQUIRED)
set(AGENT_DEP_CFLAGS "") # for tests/lint, which compiles headers alone

function(agent_dep name module why)
  pkg_check_modules(${name} REQUIRED QUIET IMPORTED_TARGET GLOBAL ${module})
  message(STATUS "${module} ${${name}_VERSION}: ${why}")
  set(AGENT_DEP_CFLAGS ${AGENT_DEP_CFLAGS} ${${name}_CFLAGS} PARENT_SCOPE)
endfunction()

agent_dep(JANSSON jansson>=2.13 "JSON, in every program")
agent_dep(UV libuv>=1.40 "the event loop of daemon and client; never in the broker")
agent_dep(CURL libcurl>=7.74 "all HTTP and TLS: model, MCP, telemetry; daemon only")
agent_dep(SECCOMP libseccomp>=2.5 "system call filters: the broker's for children, the daemon's for itself")
agent_dep(MD libmd>=1.0 "SHA-256: seals of grants and the chain of the audit log; small, no dependencies, static where there is libmd.a")
agent_dep(CAPNG libcap-ng>=0.8 "capability sets: the broker drops what it does not need")
agent_dep(INIH inih>=53 "the lines of config.ini; client and daemon, never the broker")

# One hash function is no reason for the broker to need a further shared object.
find_library(AGENT_MD_STATIC libmd.a HINTS ${MD_LIBRARY_DIRS})
set(AGENT_MD PkgConfig::MD)
if(AGENT_MD_STATIC)
  set(AGENT_MD ${AGENT_MD_STATIC})
endif()

if(AGENT_TESTS)
  agent_dep(CMOCKA cmocka>=1.1.5 "unit tests")
  agent_dep(OPENSSL openssl>=1.1.1 "TLS and digests in the fake servers of the tests")
endif()
