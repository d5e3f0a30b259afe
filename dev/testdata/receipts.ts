/**
 * @module testdata/receipts: what the ten sample receipts say.
 *
 * Every shop, person and number here is invented. Sums are computed, so that the receipts add up.
 * How a line is drawn is `dev/testdata/draw.ts`'s matter.
 */

/**
 * One receipt. A line of `lines` is a word list with a mark in front:
 *
 * - `# text`: centred and large, `^ text`: centred, `! a | b`: large and bold, columns as below
 * - `a | b`: left and right column; `a | b | c`: left, middle and right column
 * - `---`: a dashed rule, `===`: a solid rule, `|||`: a bar code, empty: half a line of space
 */
export interface Receipt {
  /** File format. */
  readonly format: "jpg" | "png";
  /** Width in pixels. */
  readonly width: number;
  /** Height of the text in pixels, as a font size. */
  readonly fontSize: number;
  /** Weight of the text. */
  readonly weight: 400 | 500 | 700;
  /** Colour of the paper as red, green, blue, 0 to 255. */
  readonly paper: readonly [number, number, number];
  /** Colour of the ink, CSS. */
  readonly ink: string;
  /** Turned clockwise by this many degrees. */
  readonly turn: number;
  /** Whether the paper lies on a table, which shows around it. */
  readonly table: boolean;
  /** The lines from the top, marked as above. */
  readonly lines: readonly string[];
}

/** Name, quantity and unit price. */
type Item = readonly [name: string, quantity: number, price: number];

const sum = (items: readonly Item[]) => items.reduce((total, [, n, price]) => total + n * price, 0);
const cents = (amount: number) => amount.toFixed(2);
const won = (amount: number) => Math.round(amount).toLocaleString("en-US");

const BASE = {
  format: "jpg",
  width: 620,
  fontSize: 25,
  weight: 500,
  paper: [250, 249, 245],
  ink: "#26262b",
  turn: 0,
  table: false,
} satisfies Partial<Receipt>;

function cafe(): Receipt {
  const items: Item[] = [
    ["Flat White", 2, 4.2],
    ["Oat Cappuccino", 1, 4.8],
    ["Almond Croissant", 2, 3.9],
    ["Orange Juice", 1, 5.1],
  ];
  const tax = sum(items) * 0.08;
  return {
    ...BASE,
    lines: [
      "# HARBOUR COFFEE",
      "^ 14 Mill Lane, Westport",
      "^ Tel. 555-0142",
      "---",
      "Date 03/14/2025 | 08:52 AM",
      "Order 1187 | Table 6",
      "---",
      ...items.map(([name, n, price]) => `${n} ${name} | ${cents(n * price)}`),
      "---",
      `Subtotal | ${cents(sum(items))}`,
      `Tax 8% | ${cents(tax)}`,
      `! TOTAL | $${cents(sum(items) + tax)}`,
      "",
      "VISA ending 4821 | Approved",
      "---",
      "^ Thank you for visiting",
      "^ See you again soon",
    ],
  };
}

function grocer(): Receipt {
  const items: Item[] = [
    ["Whole Milk", 2, 1.89],
    ["Brown Bread", 1, 3.25],
    ["Free Range Eggs", 1, 4.6],
    ["Bananas", 3, 0.75],
    ["Cheddar Cheese", 1, 6.4],
    ["Tomato Soup", 4, 1.15],
    ["Olive Oil", 1, 9.95],
  ];
  const vat = sum(items) * 0.05;
  return {
    ...BASE,
    format: "png",
    paper: [255, 255, 255],
    weight: 400,
    lines: [
      "# Green Field Market",
      "^ 208 Orchard Road, Milton",
      "^ Open daily 7 to 22",
      "===",
      "Item | Qty | Amount",
      "---",
      ...items.map(([name, n, price]) => `${name} | ${n} | ${cents(n * price)}`),
      "===",
      `Net | ${cents(sum(items) - vat)}`,
      `VAT 5% included | ${cents(vat)}`,
      `! Total due | ${cents(sum(items))}`,
      "Cash | 50.00",
      `Change | ${cents(50 - sum(items))}`,
      "",
      "Cashier Maria | Till 03",
      "11/06/2025 | 17:38",
      "|||",
      "^ Please keep this receipt",
    ],
  };
}

function hardware(): Receipt {
  const items: Item[] = [
    ["Claw Hammer", 1, 18.5],
    ["Wood Screws", 3, 4.25],
    ["Paint Brush", 2, 6.75],
    ["Masking Tape", 2, 3.1],
    ["Work Gloves", 1, 7.9],
  ];
  const tax = sum(items) * 0.06;
  return {
    ...BASE,
    paper: [247, 243, 230],
    ink: "#30303c",
    turn: 0.5,
    lines: [
      "# BOLT AND TIMBER",
      "^ Hardware Supplies",
      "^ 77 Station Street, Redhill",
      "---",
      "Invoice | B20418",
      "Date | 22 May 2025",
      "Customer | Walk In",
      "---",
      ...items.flatMap(([name, n, price]) => [
        name,
        `   ${n} x ${cents(price)} | ${cents(n * price)}`,
      ]),
      "---",
      `Subtotal | ${cents(sum(items))}`,
      `Sales Tax 6% | ${cents(tax)}`,
      `! TOTAL | ${cents(sum(items) + tax)}`,
      "Debit Card | Approved",
      "",
      "^ Returns within 30 days",
      "^ THANK YOU",
    ],
  };
}

function taxi(): Receipt {
  return {
    ...BASE,
    format: "png",
    width: 520,
    fontSize: 26,
    paper: [252, 252, 250],
    lines: [
      "# CITY CAB",
      "^ Taxi Receipt",
      "===",
      "Cab Number | 3172",
      "Driver | Ahmed",
      "Date | 09/27/2025",
      "Start | 18:04",
      "End | 18:31",
      "Distance | 9.6 km",
      "---",
      "Fare | 21.40",
      "Airport Fee | 3.00",
      "Toll | 2.50",
      "Tip | 4.00",
      "===",
      "! TOTAL | $30.90",
      "Paid by Card",
      "",
      "^ Have a pleasant evening",
    ],
  };
}

function bistro(): Receipt {
  const items: Item[] = [
    ["Onion Soup", 2, 7.5],
    ["Grilled Salmon", 1, 21],
    ["Beef Burger", 1, 16.5],
    ["House Salad", 1, 8.25],
    ["Sparkling Water", 2, 4],
    ["Lemon Tart", 2, 6.8],
  ];
  const service = sum(items) * 0.1;
  return {
    ...BASE,
    width: 660,
    fontSize: 26,
    paper: [244, 247, 250],
    table: true,
    lines: [
      "# The Copper Kettle",
      "^ Bistro and Wine Bar",
      "^ 5 Garden Square, Oakville",
      "",
      "Server Julia | Guests 2",
      "Check 0594 | 04/19/2025",
      "===",
      "Qty Description | Price",
      ...items.map(([name, n, price]) => `${n} ${name} | ${cents(n * price)}`),
      "===",
      `Food and Drinks | ${cents(sum(items))}`,
      `Service 10% | ${cents(service)}`,
      `! Amount Due | ${cents(sum(items) + service)}`,
      "---",
      "MasterCard | 7730",
      "Auth Code | 048213",
      "",
      "^ We hope you enjoyed your meal",
      "^ www.copperkettle.example",
    ],
  };
}

function pharmacy(): Receipt {
  const items: Item[] = [
    ["Vitamin Tablets", 1, 12.99],
    ["Hand Cream", 2, 5.49],
    ["Cough Syrup", 1, 8.75],
    ["Bandages", 1, 3.6],
  ];
  return {
    ...BASE,
    width: 600,
    paper: [251, 246, 244],
    ink: "#2a2440",
    lines: [
      "# WELLCARE PHARMACY",
      "^ 31 Bridge Street, Lakeside",
      "^ Phone 555-0187",
      "---",
      "2025-08-02 | 14:15",
      "Receipt | 660219",
      "---",
      ...items.map(([name, n, price]) => `${name} | ${n} | ${cents(n * price)}`),
      "---",
      `SUBTOTAL | ${cents(sum(items))}`,
      "DISCOUNT | 2.00",
      `! BALANCE | ${cents(sum(items) - 2)}`,
      "Gift Card | 15.00",
      `Cash | ${cents(sum(items) - 17)}`,
      "|||",
      "^ Stay well and thank you",
    ],
  };
}

/** The lines under the items of a Korean receipt: value, tax and total, tax being included. */
function koreanTotals(items: readonly Item[]): string[] {
  const net = Math.round(sum(items) / 1.1);
  return [
    `과세금액 | ${won(net)}`,
    `부가세 | ${won(sum(items) - net)}`,
    `! 합계 | ${won(sum(items))}`,
  ];
}

function koreanCafe(): Receipt {
  const items: Item[] = [
    ["아메리카노", 2, 4500],
    ["카페라떼", 1, 5000],
    ["치즈케이크", 1, 6500],
    ["녹차", 1, 4000],
  ];
  return {
    ...BASE,
    fontSize: 27,
    lines: [
      "# 달빛 커피",
      "^ 서울시 중구 은행로 12",
      "^ 전화 02-555-0133",
      "---",
      "2025-04-11 | 13:27",
      "주문번호 | 0218",
      "---",
      "상품 | 수량 | 금액",
      "---",
      ...items.map(([name, n, price]) => `${name} | ${n} | ${won(n * price)}`),
      "---",
      ...koreanTotals(items),
      "신용카드 | 승인",
      "---",
      "^ 이용해 주셔서 감사합니다",
    ],
  };
}

function koreanMart(): Receipt {
  const items: Item[] = [
    ["우유", 2, 2900],
    ["두부", 1, 1800],
    ["사과", 5, 1500],
    ["라면", 4, 1100],
    ["식빵", 1, 3200],
    ["고추장", 1, 7800],
  ];
  return {
    ...BASE,
    format: "png",
    fontSize: 27,
    paper: [255, 255, 255],
    lines: [
      "# 하늘마트",
      "^ 부산시 남구 바다로 45",
      "^ 대표 김하늘",
      "===",
      "날짜 2025-07-30 | 18:46",
      "계산원 박지민 | 2번",
      "===",
      ...items.map(([name, n, price]) => `${name} | ${n} | ${won(n * price)}`),
      "===",
      ...koreanTotals(items),
      "현금 | 40,000",
      `거스름돈 | ${won(40000 - sum(items))}`,
      "|||",
      "^ 교환은 영수증 지참",
      "^ 감사합니다",
    ],
  };
}

function koreanRestaurant(): Receipt {
  const items: Item[] = [
    ["김치찌개", 2, 9000],
    ["불고기", 1, 15000],
    ["공기밥", 3, 1000],
    ["소주", 1, 5000],
  ];
  return {
    ...BASE,
    width: 600,
    fontSize: 28,
    paper: [248, 244, 233],
    turn: -0.3,

    lines: [
      "# 고향 식당",
      "^ 대전시 서구 나무길 7",
      "---",
      "영수증 | 00391",
      "일시 2025-09-05 | 19:12",
      "---",
      ...items.map(([name, n, price]) => `${name} | ${n} | ${won(n * price)}`),
      "---",
      ...koreanTotals(items),
      "카드 결제 | 일시불",
      "---",
      "^ 맛있게 드셨나요",
      "^ 또 방문해 주세요",
    ],
  };
}

function koreanBookshop(): Receipt {
  const items: Item[] = [
    ["Notebook", 2, 3500],
    ["여행 지도", 1, 12000],
    ["Gel Pen", 3, 1800],
    ["소설책", 1, 14500],
  ];
  return {
    ...BASE,
    width: 640,
    fontSize: 27,
    paper: [245, 248, 246],
    lines: [
      "# SEOUL BOOKS",
      "^ 서울시 마포구 책방길 21",
      "^ Open 10:00 to 21:00",
      "===",
      "Date 2025-10-18 | 16:05",
      "Member | 이수진",
      "---",
      ...items.flatMap(([name, n, price]) => [name, `${n} x ${won(price)} | ${won(n * price)}`]),
      "---",
      ...koreanTotals(items),
      "Points | 389",
      "===",
      "^ Thank you 감사합니다",
    ],
  };
}

/** The ten receipts, in the order of the data set. */
export function receipts(): Receipt[] {
  return [
    cafe(),
    koreanCafe(),
    grocer(),
    hardware(),
    koreanMart(),
    taxi(),
    koreanRestaurant(),
    bistro(),
    koreanBookshop(),
    pharmacy(),
  ];
}
