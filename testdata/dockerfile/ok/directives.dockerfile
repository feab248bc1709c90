# Syntax = docker/dockerfile:1
# ESCAPE = `
# check=skip=all

# base the base
FROM scratch AS base
ENV A=c:\win `
	B=2
LABEL x="a`"b"
