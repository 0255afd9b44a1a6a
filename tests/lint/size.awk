# size.awk - length of files and functions. A function is what stands between braces in the first column.

function file_ends() {
	if (name == "")
		return
	max = name ~ /\.h$/ ? header_max : source_max
	if (lines > max)
		print name ": " lines " lines; the limit is " max
}

FNR == 1 { file_ends(); name = FILENAME; opened = 0 }

{
	lines = FNR
	code = strip($0)
}

code ~ /^[A-Za-z_].*\(/ { heading = code; sub(/\(.*/, "", heading); sub(/.*[ \t*]/, "", heading) }
code ~ /^\{/ { opened = FNR }
code ~ /^\}/ {
	if (opened && FNR - opened - 1 > function_max)
		print FILENAME ":" opened ": " heading "() has " FNR - opened - 1 " lines; the limit is " function_max
	opened = 0
}

END { file_ends() }
