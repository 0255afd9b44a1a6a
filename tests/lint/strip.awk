# strip.awk - one line of C without comments, and with strings and characters emptied, so that words can be counted.
#
# `in_comment` lives across lines and ends with the file; strip() must see every line exactly once.

FNR == 1 { in_comment = 0 }

function strip(line,    out, quote, c, two) {
	out = ""
	while (line != "") {
		two = substr(line, 1, 2)
		c = substr(line, 1, 1)
		if (in_comment) {
			if (two == "*/") {
				in_comment = 0
				line = substr(line, 3)
			} else {
				line = substr(line, 2)
			}
		} else if (two == "/*") {
			in_comment = 1
			out = out " "
			line = substr(line, 3)
		} else if (c == "\"" || c == "'") {
			quote = c
			line = substr(line, 2)
			while (line != "" && substr(line, 1, 1) != quote)
				line = substr(line, substr(line, 1, 1) == "\\" ? 3 : 2)
			line = substr(line, 2)
			out = out quote quote
		} else {
			out = out c
			line = substr(line, 2)
		}
	}
	return out
}
