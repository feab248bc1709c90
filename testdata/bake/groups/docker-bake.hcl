group "default" {
  targets = ["services", "tool"]
}
group "services" {
  description = "What runs"
  targets     = ["web", "worker", "web"]
}
group "circle" {
  targets = ["circle", "web"]
}
target "web" {
  description = "The front"
}
target "worker" {
  dockerfile = "worker.Dockerfile"
}
target "tool" {
  context = "./tools/../tool//"
}
