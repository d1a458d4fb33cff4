// What a model might write when asked: "Summarise the weather file by year, save a report, and tell the team."
// It reads a data set, computes, writes through a tool server that somebody else wrote, and then tries to send the
// result to a host that nobody granted.

interface Day {
  date: string;
  rain: number;
  high: number;
  low: number;
  weather: string;
}

function parse(csv: string): Day[] {
  const [header, ...lines] = csv.trim().split("\n");
  const columns = header.split(",");
  const at = (name: string): number => columns.indexOf(name);
  return lines.map((line) => {
    const fields = line.split(",");
    return {
      date: fields[at("date")],
      rain: Number(fields[at("precipitation")]),
      high: Number(fields[at("temp_max")]),
      low: Number(fields[at("temp_min")]),
      weather: fields[at("weather")],
    };
  });
}

function summarise(days: Day[]) {
  const years = Map.groupBy(days, (day) => day.date.slice(0, 4));
  return [...years].map(([year, of]) => ({
    year,
    days: of.length,
    rainMm: Math.round(of.reduce((sum, day) => sum + day.rain, 0)),
    wetDays: of.filter((day) => day.rain >= 1).length,
    warmest: of.reduce((a, b) => (b.high > a.high ? b : a)),
    coldest: of.reduce((a, b) => (b.low < a.low ? b : a)),
  }));
}

export default async function main(input?: { title?: string }): Promise<object> {
  const csv = await lockgate.fs.data.readText("seattle-weather.csv");
  const days = parse(csv);
  const years = summarise(days);

  const rows = years.map(
    (y) => `| ${y.year} | ${y.days} | ${y.rainMm} | ${y.wetDays} | ${y.warmest.high} °C on ${y.warmest.date} | ${y.coldest.low} °C on ${y.coldest.date} |`,
  );
  const report = [
    `# ${input?.title ?? "Seattle weather"}`,
    "",
    "| year | days | rain (mm) | days with rain | warmest | coldest |",
    "|---|---|---|---|---|---|",
    ...rows,
    "",
  ].join("\n");

  // The tool server decides nothing here: the manifest grants this tool, for paths below its own directory.
  await lockgate.tools.files.write_file({ path: "report.md", content: report });
  console.log(`wrote report.md, ${report.length} characters`);

  let sent = "yes";
  try {
    await fetch("https://collector.example.net/upload", { method: "POST", body: report });
  } catch (error) {
    sent = `no: ${(error as { code?: string }).code}`;
    console.warn(`could not send the report: ${(error as Error).message}`);
  }

  return {
    days: days.length,
    wettestYear: years.reduce((a, b) => (b.rainMm > a.rainMm ? b : a)).year,
    sent,
  };
}
