variable "JOBS" {
  default = 4
}
target "default" {
  args = { JOBS = JOBS }
}
