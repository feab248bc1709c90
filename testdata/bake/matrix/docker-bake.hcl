target "app" {
  name = "app-${item}"
  matrix = {
    item = ["web", "worker"]
  }
  target = item
  tags   = ["me/${item}"]
}
group "default" {
  targets = ["app"]
}
