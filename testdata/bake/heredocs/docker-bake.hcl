variable "N" {
  default = ["p", "q"]
}
target "default" {
  dockerfile-inline = <<-EOT
    FROM scratch
    	COPY a b

      LABEL x="$${y}"
    ${"VALUE"} here
  EOT
  args = {
    PLAIN = <<EOT
    indented
  %{ if true }yes%{ endif }
EOT
    STRIP = <<-EOT
      %{~ for n in N ~}
      ${n}
      %{~ endfor ~}
      end
    EOT
    ZERO = <<-EOT
${"x"}
      y
    EOT
    EMPTY = <<EOT
EOT
  }
}
