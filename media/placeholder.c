typedef int rml_media_placeholder;
