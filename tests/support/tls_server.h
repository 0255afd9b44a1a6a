/*
 * tls_server.h - an HTTPS server on 127.0.0.1 that answers every request with "hello", in a process
 * of its own. Its certificate is made on the spot, vouches for itself, and is for that address
 * only.
 */
#pragma once

#include <sys/types.h>

struct tls_server {
	pid_t pid;
	int port;
};

/* Writes the certificate to ca_file. Fails the test when it cannot. */
void tls_server_start(struct tls_server *server, const char *ca_file);
void tls_server_stop(struct tls_server *server);
