import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";
import { slope } from "../../dev/testing/pictures.ts";
import { Decoder } from "./decode.ts";
import { ImageError } from "./pixels.ts";
import { wholeJpeg } from "./tiff_jpeg.ts";

/** {@linkcode slope} of 40 × 24 pixels in strips of 16 rows, as libtiff writes it, gzipped. */
const FILES: Readonly<Record<string, string>> = {
  "JPEGs of YCbCr":
    "H4sIAAAAAAACA51TZ0wUQRR+25cD9ZZmDwpKM9HIoViIG7EghqDYS6IRC9YYUQELCBaQM2qwt3iCDYyJsWDHQhE1GsRCNbGcAmqEQ0ApJ+ubu0X9obG8zTfzvTdvZt43MxsU5A0hFIBSrNwCSQQteDKUK9ASxUiUUgp2DIUOI4EM5jWm/Ft9rh3sY47MbJctw43qJpeWwTODG8Jfajsvn6vAtqIU5JKVF4YEZpnGbJHbVcsO5UvbrKWbb1YaGj6udkmIpWJe1PnHOtXlJ8TC1+dTFDBmVMZ2bGDbPp/q0lx+PkI+E+2Ra0j8Ykiq9bNmy+ZIfXMU7hlfhttH6A/PbtruURP+VS9fN49RSlqLF39f/Ed/nUk0XzmnQN6iR+Z+JnHrzUq3lsZUvXGJ4W0FW+O+uDGm9pFZZxKqkr9LcY5UIGWdcVfo2LLw+mpMWlLVXGEdKM9ToGuq3rt3/nt/Q5JuaXrgC1kpkQAoBvA4wRNBqbwDgkbOYN+NBmDUuIDgVc4jNConkCgWMBXcsbH/Ke6kcrKWs8q1iPbISX4mJEGXn/K91DjxhlCchR9iAWTkZM/TyKdTAgzBgRkIR9oa722dBKL6AeRaA5ZVFbWP+4OPF1MGw1A8MdLSxFiGtBzLMizP8bwFgo2IEHhetBVtNMSQ2dlq7IhDFrFOpTmG4TQCL2j+2ZQccMGqOEstFLSqoRmW4wXc0xYTMrTkohiskMPycDQGx4GVOPvufYfyDqGzBNdljj7xySmiW8DZ207jCkw9dGER6200zu07dOzU093D08vbt19/vwEDBw0bPmJk4Kig0eMnTJw0ecrUabPnzJ0XPn/BwuUrVkZGRa9avWHjpoTEzUn6HTt37d6zd9/+A6lHjx0/cTIt/dS58xcyLl66fOVqVnZO7p28u/fuP37y9FlhUXFJ6avXxjdvyysq372v+VRbV//5S0NjE9FF4ZtqtV/qklAXTQ5cILooOookSCzXvS9vPzRUmLXMwdUnXnQMSE45e9vGTTfO5BQWUaBx7uH7qmcNkWZR9nfC1v+Xsu/Cfugq8et0hEiheyVqyJ8Dmz6EWt5Ydn2aJf7wQbBFqrWPA9Wnt2fVk177DWhCOkrcBAAA",
  "JPEGs of RGB":
    "H4sIAAAAAAACA6VSa1BMYRh+z2XPblvU0k2DldAmM41LwpiWDStjxpSiaOyg3PphEMWstqKiH9Yt4Y8IxZ+m3P1oU1EujVwrfmRRFs201VZb7e7nPadj5J8Z75n3e5/vvX3P954vOnomTKEBSAupBoUMvEDFxCpAqwCNAsgH8GBiQQsaADU44u2TCMwyyR1GAnkaAmW7XQt1J1wB9jEDhiYCq4aDPqU7Kh2qP9FN2ebyrLZ0p6etvDJSangeVmO0J4cN5RH4UmiZ/P+FrgiXEDStNZhPap30S2d3UmleFX2pyCkj0Bber63uGkyxxxDwyFFbfA1dBTbPMXqJOmxIQaAqtdOY3dbz3FrimsAammZhgQ/fW56pswUR0De3KhlTe5FZ65iDzYoTsSK0SR9u9XaYLFrX4Chi2GzJLaxYX5yR+ilk0NBkdPbqSOvvmcr+YabOULz8UrXNXTnwOC0TSUTqbIF/k3BDEgkCicVIQm+yRP1FYjySqPhNQoUk8pFEsn4sgXO6XKW1IdiVvdVlL19iba6O6SFw2XO4o6pBPF1tPrnGSdc7u4W5l7QT0CgHGg2kFd8DUAxQAKBCpUTsj0ojZtB24OthRL8UlRMxukEuYl4VFCv4OnEZN8rvI2K+l6+I8VTwQ8znx1G1MHFUfojo53eRlETAviwOEzGHeAbijZQUAjHZNpIIMvEDSKKEt/4RovACvPArzQvL8KuEZRmWk3CcoFI3GaqU42TuMjc5L4g83OUe/IbUgRJJSIQ2FIhC0Qwr4aSY7o4Jd7z4OTHYXIKdMXoY48AqJOMCZy/lxsdslk7d4z0n+9RlWZCm4pFP7CvrtLlb9ua4yX39/CcETJ8RrAqZOS98fsSChYuili1foV0ZvWptXPy69QmJG7Ymp2zbvmPnrn1p+w+kZxw8dORobl7+seMFp8+cLTxXdP7CxSslV69dLy27cbPy1u07d+/df/Cwprbu8ZP6hqfPXr95++59c0vrB/PnL1/bO75Zvv/o7um19fUP2AeH8K9HBBTzd6FD8+VopkDuzxi0WVDbVyb4G1+sFu46YrNA3NPGmj7eev0C3+7liVYEAAA=",
  "JPEGs in tiles":
    "H4sIAAAAAAACA51Sf1BUVRQ+77197+0ujPsDWNSa2QRNRSdHVjPEcQUkpHFyoB+GNmyotJlUA5rbmrBIrpRN7ZAhJZXRT2ucGkxQSl0ByRIZM0tdZQZZCzBnh0Vc212X9zr37av4o5m2zs5373fuu/ud+91z8/PTYCsNIF4Uj4NOCVrQMlQK0DqK0VHiJYhnKEwYHZgh8qL/zPE53zTOiWw+quk0w7HhsFHItCwPWq9o79hYKsLrF5qQ66L8/IN5Hf4Vr5o1w+YE0RODfJDvtBDN6UJmcW3/3mqLbUxjdFaakJptBnPQt8W4o4piDhnyhNAX1tSwpmZrUdBhD+6NSd3viI/Qt91DjqDPPog6lX03F1UlhbNQfYmvp0HIKLZJtKtOhGMb6pcJXq/G4Oh12EUwLxShOqYivkUmvzLSdkCEkxt+iMz3K19zD6UKof19WJt/tsw9cmrULdHZrrHRxxvaQq0JQ7uE/ZUWIf3L9b4M94Bmd+8RdyB5Vl9j99qYKoavYyOqrhks8vVYnwsnCxkWE+lJptSHle9KvHydY3iPt+XMatUVEcLNAUew+NZ75xqFktAz3d0iFOiPho60mmOqObYE38FsX48LG2XHSyu6LDhJodPCpKBiQq/HcbV+sEqiRcbbA4cLzbneCWoRykVwukIhEe5xtIuwwiV69AAUAxQAzEBQMp+IoJEzOK/CgZHXeQQncw6hljmBfhxPkjn5/53j1mcix4cuZYspVuI3WAAzcqJH45At79cicsbxpZRC2lOGorm4TvgTyFdTPCxGoYPIE+moznZGKgJK6WeBYiiFCtgEZZgBWBFdiDSUfgehjR5JqiTKc/W/5Nijy5CDl0SCjDQJBUNGVqFgFBzLcRJ4lRLBc5wyTqlSk0AWH6eOJwkRif6VZhmGVfMcr/7PIZ4AI56Klc5CgRwUzShYjseacbihRUsayuAJWTwefq3E76DQsfopc7O4hIISPqU8MX1bXZMyNbu5PanwrH+qaU1FjUptSJ44afK0u6fPmJk2b/69C+7LWJizNPf+vGX5Dzz08COPrnysaNXadaVPWp9a//TGTc9vtr1g3/LSdueO2pdf2fnGrjfrdze89faeDz786ONPPt332ecHvjrY0nrocNvXHZ0nur49+d33p34899PP5y9c9Fzq91795deBwaFrv43cGL0ZuPV7MBQmvih8e3/GP/rSoS+aXDhPfFG0jWzQKdgpczl9VgFfUp6Qkr5NmZhd19Tcrko1FfqT1lScVRumzuufNkKsSc5iM1bzv5z9ZexvX54Fk98nVuhZtWqc7gLn9QLpjXUG9knrPaeXS1ajczXIOe3qCJBZ+wcy+TVMMgYAAA==",
  "a plane for each colour":
    "H4sIAAAAAAACA/P01GIwYmVgaGBgOHBgQoqdqmhPO/MjRZ1F4Xozed2ZN35l63RfOrlL1Wlv1u6ETZJn3S63nntbeWDBhAwXLUm+DpdFEzOOZFnKTfBYMinTZRU3e8uhhxt+9Phpi/cce7zxJ0+ft/qUA88/3RI51G28xHdl8ayST4u1F3ivKJYyuTTZfJnfys+3pmxq1l/ks+JzVMij2dYr/Nde09p66mzU7qjV11fzhj1OXXM31/T22e3cBZvC9KZ1PX10M2FVitZ3a9u899nrr7z9ZnP3v+jUC4nGVt7f1DXnH3y8tfyOm79t07FnJtU+08qZe06/WD+j9h2z+LQL9z7clHkuHRjX0DCo/XqrhaWBQSHAQkWMl73FkTFgR4qZLH+HS+JCjyVhuuI9bsmBCX/KbOUneKQEWfxY5qs+xSs1aGfKgkz9GT5pwZZLriXZzfFLD9755FutlUpARoiVqliv+8IpL0N2pZrN9V8RzL3VamnY2vA1YVnLup6W7Y3fEJET+njqtLPpW6Jyw3ZbfrubvyMmL9x66UH+8j1x+eG7n377NPFAQkGEjZo4b5NfUmHEnjRz2f6jBxwaNBfAHClmAHPk6h0wR6bpwBz52wnmyIVb4Y58Cndk+QWYI4FmMjA4OBgoiPCwszA5OmxIMJHh52BxcjRYEKIjzsPm7LjhQYmNvACHi5OhwhQfdceEDzNizOQFO48mfZxxp8xeceLJlCePGj1WAN3klAgLuKRAC5ibdjyBuslSZRrMTdt52l2UAj22JJnK9HuoBHmaLKoK0Rbjdj30seGo/tYzay9H9zx6ab37Xn75ZcEJZzKWBmte5ZoatDZibbj2NW7RSWdiYV7KNb+dNp1z77nSsvlJ66e/KVxwJcdchs/dedu63KI5d9NnS187L91/+115evLBFz+nrb6WXXrrb9vxVN0XJlG+ZgseFVvNPa+++eVfpuYHid/E+/SMs0/ezbdcfvgTI0uLs5JgjIy7sNgtS97Dj55Znl/97s9El0QZD+O8zTZvtuhKe13ufff70Mc96y25nCeqREq5T1KZqeW9UT+H4baDX/RzZnv+KyIeQi4LdXyEXR7a3LS9wD3lp8P6LdEsBwt70qUmH2V0CbIOmLybaw+/8InPAgV3rPmPGEoa+U5e8tMpcMpSy6DQvR99Kn65X3CJV3SbuKUnSOSoY0iY6NHGFGBWkupte9x44kWZjVx/+xMmTo42F6WJHU+aPDWm+ahN7nzK1OmxLERratfTppMZ22JkoJFuvwCWMpcEZUJTZkhWKDRlZofuAqXMQ4kFN2rc1EW7jyUX3vjT5q46eZ2499HPjC1Hkp0VL3JMCdKV6HVXvsQpMslXY+PNnDdpzpozTWb7qQef/MrU6rI4SDPkVKlj0+GkjTd1tmXbLrq8+vbrcK231w5WbIpcK34t2XLBpSzT2bxrrh7bWbL+7pso6XuTfVdcNZvd+5xNrNl50cWXJrtybev7Tzz5tLNsdeym23nb7+iZa89jYuBnYGBkZmBkYGDQAGJGKFsCiJmAbGYg/QZYnjJDxYFMBjYomwmIuaBsEBZkZGFgA9L/gIqEkMRFoWyQWWJQtgAQiwPZIPWfgOplkMzUBLJBNEi3HSMrmC0GVGgPZIPUq7GBJRk4wPANwwKGpQwhDJsYPwF5DAxfgHgK0ChLoLZeILZnYWAwl1oA0sCk3c4FpBQYWl8HMoDqiMNfV4DFz57xAVsHoRsYoHym/kNfQbQAAI7DC+hWBgAA",
};

for (const [name, file] of Object.entries(FILES)) {
  Deno.test(`a TIFF is decoded that holds ${name}`, async () => {
    const picture = await new Decoder(1e6).decode(unzipped(file), "image/tiff");
    const expected = slope(40, 24);
    assert.deepEqual([picture.width, picture.height, picture.channels], [40, 24, 3]);
    const off = picture.data.map((value, at) => Math.abs(value - expected.data[at]));
    // At the rim, where a tile goes on in black, JPEG is further off.
    assert.ok(off.filter((one) => one > 12).length < off.length / 20);
    assert.ok(off.reduce((sum, one) => sum + one, 0) / off.length < 3);
  });
}

Deno.test("a TIFF is decoded that holds JPEGs of grey", async () => {
  const grey =
    "H4sIAAAAAAACA/P01GJ4wcDA8P/G/wMM3BwMAgwajIyCDP9vMXAwMjIw2DP8abxon/Zv/gv7H29Lf6m/uX/5L/t/Btl1+13+zv5Vv+A/w+Ot11/M31yvDBE+jBB+YaX+5u7lf6r/GX48Bem8e+I/g8N/huPa6yEGsv/7sW6/69/ZO+VfyENVXKht/s8gs/7/TZhrONBd8/2u8Lf8l/8a/zP0hScu+nf2rv0F+4+nXn/xv7l7wW/2f5axdd2/zQuggvE390+EKP1/k4+BgZGZAWgGgwYQM0LZEkDMBGVzADEzlM0OxGxQNghzIbEFGVkYmID0NCBHCElcFIktBmULALE4kA1S38cQxCCDpEYTKg7iRTOyMygCBecxggXAbpkGiZXbDM5AJ4IAiGQCARZmEMnKwsLMwsbKxgbG7JwcQMzOxsbBzcHJBQJAFg83Fw+I8/8IgzzQGlawMVArgHwmZhZWNnagcm6ggq0CoJBgBhrOCjQZKFsLlGdgEWQVUjR0ZBMOTGRXKhQxapy4kEPZaeNB0aCLH1SMk4qaOLnExCUkpVTV1DU0tUxMzcwtLK2cXVzd3D08vYJDQsPCIyKjklNS09IzMrOKS0rLyisqq5pbWtvaOzq7Jk2eMnXa9BkzZy1avGTpsuUrVq7atHnL1m3bd+zcdejwkaPHjp84eerS5StXr12/cfPWw0ePnzx99vzFy1cfP33+8vXb9x8/f/2/CQAducRXvwIAAA==";
  const { channels, data } = await new Decoder(1e6).decode(unzipped(grey), "image/tiff");
  assert.equal(channels, 1);
  // Of the corners, by the luminance of Rec. 709.
  const { data: rgb } = slope(40, 24);
  for (const at of [0, 39, 23 * 40, 24 * 40 - 1]) {
    const [red, green, blue] = rgb.subarray(3 * at);
    assert.ok(Math.abs(data[at] - (0.2126 * red + 0.7152 * green + 0.0722 * blue)) <= 3);
  }
});

Deno.test("a TIFF with JPEGs that are cut off, or larger than it says, is not decoded", async () => {
  const bytes = unzipped(FILES["JPEGs of RGB"]);
  const decoder = new Decoder(1e6);
  const at = bytes.findLastIndex((byte, n) => byte === 0xff && bytes[n + 1] === 0xda);
  const torn = bytes.slice().fill(0, at + 20, at + 60);
  await assert.rejects(decoder.decode(torn, "image/tiff"), { name: "ImageError" });
  // The frame of a piece says 65,280 rows instead of 16: nothing is decoded.
  const frame = bytes.findIndex((byte, n) => byte === 0xff && bytes[n + 1] === 0xc0);
  const bomb = bytes.slice();
  bomb[frame + 5] = 0xff;
  await assert.rejects(decoder.decode(bomb, "image/tiff"), { kind: "too_large" });
  assert.throws(
    () => wholeJpeg(Uint8Array.of(1, 2, 3), new Uint8Array(), { rgb: true }),
    ImageError,
  );
});

function unzipped(file: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(gunzipSync(Uint8Array.fromBase64(file)));
}
