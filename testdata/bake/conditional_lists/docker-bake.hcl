variable "CI" {
  default = false
}
variable "PUSH" {
  default = ""
}
target "default" {
  cache-from = [CI ? "type=gha" : ""]
  cache-to   = CI ? ["type=gha,mode=max"] : []
  output     = [PUSH == "" ? "type=docker" : "type=registry"]
  tags       = compact(["app", PUSH != "" ? "pushed" : "", null])
}
