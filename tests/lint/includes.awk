# includes.awk - the include table: for each part of the tree what it may name, first matching row wins.

function row(files, may, system_never) {
	rows++
	row_files[rows] = files
	row_may[rows] = may
	row_never[rows] = system_never
}

# only(HEADER, FILES): the system header may be included by these files and no other.
function only(header, files) {
	onlys++
	only_header[onlys] = header
	only_files[onlys] = files
}

BEGIN {
	#   files                                    may include, quoted                  never, in angle brackets
	row("^proto/base/",                          "^proto/base/",                      "^(jansson|uv|curl/|ini)")
	row("^proto/wire/",                          "^proto/(base|wire)/",               "^(uv|curl/|ini)")
	row("^proto/sys/",                           "^proto/(base|sys|wire)/",           "^(jansson|uv|curl/|ini)")
	row("^proto/conf/",                          "^proto/(base|conf)/",               "^(uv|curl/)")
	row("^proto/gen/",                           "^proto/(base|gen)/",                "^(uv|curl/|ini)")
	row("^broker/",                              "^(broker|proto/(base|sys|wire))/", "^(uv|curl/|ini)")
	row("^client/",                              "^(client|proto/(base|wire|conf))/", "^(curl/)")
	row("^agentd/policy/",                       "^(proto/base|agentd/policy)/",      "^(jansson|uv|curl/|ini)")
	row("^agentd/(.*_uv|daemon|main)\\.[ch]$",   "^(agentd|proto/(base|wire|conf))/", "")
	row("^agentd/tool/(patch|apply_patch_main)", "^(proto/base/|agentd/tool/(patch|diff|lossy))", "^(jansson|uv|curl/|ini)")
	row("^agentd/",                              "^(agentd|proto/(base|sys|wire|conf))/", "^(uv|curl/)")
	row("^tests/",                               ".",                                 "")

	only("^uv[./]",              "^agentd/(.*_uv|daemon|main)\\.c$|^client/|^tests/")
	only("^curl/",               "^agentd/model/http_uv\\.c$|^tests/(flow|bench|support)/")
	only("^ini\\.h$",            "^(proto/conf|agentd/config)/")
	only("seccomp\\.h$",         "^proto/sys/|^broker/|^tests/")
	only("^seccomp\\.h$",        "^proto/sys/|^tests/")
	only("^cap-ng\\.h$",         "^proto/sys/|^tests/")
	only("^sha2\\.h$",           "^proto/wire/digest\\.[ch]$")
	only("^(cmocka|openssl/)",   "^tests/")
}

{ code = $0; strip($0) }

code ~ /^[ \t]*#[ \t]*include[ \t]*[<"]/ {
	name = code
	sub(/^[^<"]*[<"]/, "", name)
	sub(/[>"].*$/, "", name)
	angle = code ~ /^[^"]*</
	for (i = 1; i <= rows && FILENAME !~ row_files[i]; i++)
		;
	if (angle && row_never[i] != "" && name ~ row_never[i])
		print FILENAME ":" FNR ": <" name "> has no place in this part of the tree"
	if (!angle && name !~ row_may[i])
		print FILENAME ":" FNR ": \"" name "\" may not be included here"
	if (!angle && FILENAME ~ /^agentd\// && FILENAME !~ /_uv\.[ch]$|^agentd\/(daemon|main)\.[ch]$/ && name ~ /_uv\.h$/)
		print FILENAME ":" FNR ": \"" name "\": a pure file does not know the event loop"
	for (i = 1; angle && i <= onlys; i++) {
		if (name ~ only_header[i] && FILENAME !~ only_files[i])
			print FILENAME ":" FNR ": <" name "> is for " only_files[i]
	}
}
