target default {
  args = { A = 1 }
}
group all {
  targets = ["default"]
}
