// Reads a measuring station again and again, until that is refused.
export default async function (): Promise<unknown> {
  let readings = 0;
  for (;;) {
    try {
      await lockgate.fs.station.readText("reading.txt");
      readings += 1;
    } catch (error) {
      return { readings, refused: (error as { code: string }).code, at: Date.now() };
    }
    await lockgate.clock.sleep(20);
  }
}
