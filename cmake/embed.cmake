# cmake -DOUT=FILE.c -DFILES=A.inc,B.inc -P embed.cmake: texts as arrays of their lines, each called
# RML_C_<NAME> in the enum that orders them.
string(REPLACE "," ";" files "${FILES}")
set(arrays "")
set(table "")
foreach(file ${files})
  get_filename_component(name "${file}" NAME_WE)
  string(TOUPPER "${name}" upper)
  file(READ "${file}" text)
  string(REPLACE "\\" "\\\\" text "${text}")
  string(REPLACE "\"" "\\\"" text "${text}")
  string(REPLACE ";" "\\073" text "${text}") # octal: no element of a list ends
  string(REPLACE "[" "\\133" text "${text}")
  string(REPLACE "]" "\\135" text "${text}")
  string(REPLACE "\n" "\\n\",\n    \"" text "${text}")
  string(APPEND arrays "static const char *const ${name}[] = {\n    \"${text}\", NULL};\n")
  string(APPEND table "    [RML_C_${upper}] = ${name},\n")
endforeach()
file(WRITE "${OUT}.new" "#include \"writers/c/emit.h\"\n\n#include <stddef.h>\n\n${arrays}
const char *const *const rml_c_text[RML_C_PIECES] = {\n${table}};\n")
file(RENAME "${OUT}.new" "${OUT}")
