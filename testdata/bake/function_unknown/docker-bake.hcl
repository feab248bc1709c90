target "default" {
  args = { A = uper("a") }
}
