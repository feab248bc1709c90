prefix = "me/${suffix}"
suffix = upper("x")
target "default" {
  tags = ["${prefix}/app"]
}
