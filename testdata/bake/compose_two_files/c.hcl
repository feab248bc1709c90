target "web" {
  args = { H = "hcl" }
}
group "all" {
  targets = ["web", "default"]
}
