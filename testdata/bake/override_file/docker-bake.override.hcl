TAG = "over"
target "default" {
  args     = { B = 3 }
  platforms = ["linux/amd64"]
}
