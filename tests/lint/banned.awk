# banned.awk - the table of banned calls, who is excepted, and what to use instead.

function ban(words, except, instead,    list, n, i) {
	n = split(words, list, " ")
	for (i = 1; i <= n; i++) {
		except_of[list[i]] = except
		instead_of[list[i]] = instead
	}
}

BEGIN {
	starts = "^broker/(child|zygote)\\.c$|^proto/wire/(helper|program)\\.c$|^client/spawn\\.c$|^tests/"

	ban("strcpy stpcpy strncpy strcat strncat", "", "str_copy, str_dup or struct buf")
	ban("sprintf vsprintf", "", "buf_printf")
	ban("gets", "", "buf_read_fd")
	ban("strtok strtok_r", "", "walk the text")
	ban("atoi atol atoll strtol strtoul", "", "str_to_int")
	ban("alloca", "", "a struct buf")
	ban("system popen", "", "nothing: only the broker starts programs")
	ban("signal", "", "sigaction")
	ban("rand srand random srandom", "", "getrandom")
	ban("setjmp longjmp sigsetjmp siglongjmp", "", "return an error")
	ban("json_unpack json_unpack_ex json_vunpack_ex", "", "codec_decode")
	ban("exit", "(^|/|_)main\\.c$|^proto/gen/|^tests/", "return to main")
	ban("getenv secure_getenv", "^(proto/conf|agentd/config)/|^tests/", "the settings")
	ban("fork vfork clone clone3 posix_spawn posix_spawnp uv_spawn", starts, "the broker")
	ban("execl execlp execle execv execve execvp execvpe execveat fexecve", starts, "the broker")
	ban("log_error log_warn log_info log_debug log_event",
	    "^proto/base/log\\.[ch]$|^(broker|client|tests)/|^agentd/(.*_uv|daemon|main|config/[a-z_]*|api[a-z_]*)\\.c$",
	    "return: proto/ and pure files do not log")
}

{
	code = strip($0)
	if (code ~ /\/\//)
		print FILENAME ":" FNR ": comments are /* */"
	if (code ~ /^[ \t]*typedef[ \t]+(struct|union|enum)/)
		print FILENAME ":" FNR ": struct noun, never a typedef"
	if (code ~ /(^|[^A-Za-z0-9_])goto[ \t]/)
		print FILENAME ":" FNR ": goto: SCOPED cleans up"
	while (match(code, /[A-Za-z_][A-Za-z0-9_]*[ \t]*\(/)) {
		word = substr(code, RSTART, RLENGTH)
		before = RSTART > 1 ? substr(code, RSTART - 1, 1) : ""
		sub(/[ \t]*\($/, "", word)
		if (word in instead_of && before !~ /[.>]/ &&
		    (except_of[word] == "" || FILENAME !~ except_of[word]))
			print FILENAME ":" FNR ": " word "() is banned here; instead: " instead_of[word]
		code = substr(code, RSTART + RLENGTH)
	}
}
