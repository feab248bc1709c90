# An exported layout is one that another tool unpacks.
command -v umoci >/dev/null || skip "umoci is not installed"
mkdir context
printf 'FROM base\nRUN mkdir /d && echo x > /d/f && rm /bin/yes\n' > context/Dockerfile
"$WYTHE" build -o type=oci,dest=layout,tar=false,name=e2e:1 --build-context base=oci-layout://"$BASE" context
umoci unpack --rootless --image layout:1 bundle
[ "$(cat bundle/rootfs/d/f)" = x ]
[ ! -e bundle/rootfs/bin/yes ]
