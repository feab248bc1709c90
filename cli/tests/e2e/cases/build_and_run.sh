# A multi-stage build with a user of its own runs, and prints what it should.
mkdir context
cat > context/Dockerfile <<'X'
FROM base AS build
WORKDIR /src
COPY greeting .
RUN tr a-z A-Z < greeting > shouted

FROM base
COPY --from=build --chown=app:app /src/shouted /home/app/
RUN ln -s /dev/stdout /log
USER app
RUN echo logged > /log && echo told | tee /dev/stderr
WORKDIR /home/app
CMD ["cat", "shouted"]
X
echo hello > context/greeting
"$WYTHE" build -t built --build-context base=oci-layout://"$BASE" context
[ "$("$WYTHE" run built)" = HELLO ]
[ "$("$WYTHE" run built stat -c %U shouted)" = app ]
