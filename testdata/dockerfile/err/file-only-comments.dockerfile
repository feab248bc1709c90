# Hello
# nothing here
