target "app-web" {}
target "app-worker" {}
target "db" {}
