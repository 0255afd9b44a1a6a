# Embed.cmake - a file of the tree as bytes of a program, run with cmake -P:
#
#   cmake -DFROM=demo.jsonl -DTO=demo_cassette.c -DNAME=demo_cassette -DHEADER=agentd/model/demo.h -P Embed.cmake

file(READ ${FROM} hex HEX)
string(REGEX REPLACE "(..)" "(char)0x\\1," bytes "${hex}")
string(REGEX REPLACE "((\\(char\\)0x..,){8})" "\\1\n" bytes "${bytes}")
file(WRITE ${TO} "#include \"${HEADER}\"\n\nconst char ${NAME}[] = {\n${bytes}\n0 };\nconst size_t ${NAME}_size = sizeof ${NAME} - 1;\n")
