# count.awk - prints the number of lines that are neither blank nor comment.

strip($0) ~ /[^ \t]/ { lines++ }
END { print lines + 0 }
