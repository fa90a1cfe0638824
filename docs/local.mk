# printed from the tables
