#!/bin/sh
echo "prepared for $TEMPLATE_PORT"
