# configuration.md is printed from the tables: sonde document
dist_doc_DATA += docs/configuration.md
