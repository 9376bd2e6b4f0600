module mirror/standins

go 1.26
