target "default" {
  args = { a = ["l"] }
}
