# $1… a command and its arguments
# Runs it with nothing on its input and ends with its status. Should the input of this end before that, the command is ended,
# with all it started: by SIGTERM, and 5 s later by SIGKILL.
exec 3<&0
"$@" </dev/null 3<&- &
command=$!
{
  cat <&3
  trap '' TERM
  kill -TERM 0
  sleep 5
  kill -KILL 0
} >/dev/null 2>&1 &
watching=$!
wait "$command"
status=$?
# (The shell would say that it was killed.)
{ kill -KILL "$watching"; wait "$watching"; } 2>/dev/null
exit "$status"
