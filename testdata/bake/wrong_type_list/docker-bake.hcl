target "default" {
  tags = "single"
}
