/** What psql prints, without what is another in each run: times, process ids, ports. */
export function normalized(said: string): string {
  return said
    .replaceAll(/^Time: [\d.]+ ms.*$/gm, "Time: some ms")
    .replaceAll(/\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}/g, "at some time")
    .replaceAll(/at port "\d+"/g, 'at port "some"')
    .replaceAll(/^( Server Port +\| )\d+ *$/gm, "$1some")
    .replaceAll(/^( Backend PID +\| )\d+ *$/gm, "$1some")
    .replaceAll(/server process with PID \d+/g, "server process with some PID")
    .replaceAll(/[ \t]+$/gm, "");
}
