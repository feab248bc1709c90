# The live view in tmux and GNU screen, terminals that others wrote: one frame in windows of every width, nothing left of earlier ones.
command -v python3 > /dev/null || skip "python3 is not installed"
command -v tmux > /dev/null || command -v screen > /dev/null || skip "neither tmux nor screen is installed"
mkdir context
cat > context/Dockerfile <<'END'
FROM base AS ends
RUN echo one > /one
RUN echo two > /two
FROM base AS stays
RUN echo one > /one
RUN echo waiting größe; exec sleep 1000 && : a command whose name has no room in any window
END
python3 "$CASES/../multiplexers.py" "$WYTHE" context "$BASE"
