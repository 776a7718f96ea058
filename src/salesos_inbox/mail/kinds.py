"""Whether a person wrote a message, it went to many, or a machine sent it.

The API gives no mail headers, so it is told by the address, the subject and the text. A person's mail is never to be
put among the automatic: one clue is not enough, and what speaks for a person outweighs the rest. An "unsubscribe" at
the end of a few lines that somebody wrote, as tools for outreach put it there, leaves them a person's mail.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache

from salesos_inbox.mail.lookalikes import is_shared
from salesos_inbox.mail.reading import Reading

_ENOUGH = 3
"""So many points make a message what they are given for."""
_BEGINNING, _END = 600, 1_800
"""How much of a text's beginning and end is looked at."""
_MANY_LINKS = 8
_VERY_MANY_LINKS = 20
_PREHEADER = 20
"""So many hidden characters are the line that newsletters show in a list; people's mail programs hide none."""
_LONGEST_NOTICE = 60
"""Characters; an answer to an invitation that says more has words of a person, and so has any other that says some."""


class Kind(StrEnum):
    """Who is behind a message."""

    PERSON = "person"
    NEWSLETTER = "newsletter"
    AUTOMATIC = "automatic"


_ANSWER = re.compile(
    r"\s*(?:\[[^\]]{1,40}\]\s*)?(?:re|aw|antw|antwort|sv|vs|vá|odp|res|rif|ref|rép|ynt|cevap|ответ|отв|на|fwd?|wg|tr|"
    r"rv|enc|"
    r"i|doorst|vl|vb|vidarebefordrat|pd|ilt|пересл|fs|回复|答复|回覆|转发|轉寄|轉發|返信|転送|회신|답장|전달|رد|"
    r"إعادة توجيه)"
    r"(?:\[\d+\])?\s*[:：]",
    re.IGNORECASE,
)

_MACHINE = re.compile(
    r"(?:.*[._+-])?(?:no|non|not|do[._-]?not|dont)[._-]?(?:reply|respond|replay|answer)(?:[._+-].*)?|donotuse|"
    r"nicht[._-]?antworten|keine[._-]?antwort|ne[._-]?pas[._-]?repondre|sans[._-]?reponse|no[._-]?responder|"
    r"no[._-]?contestar|nao[._-]?respond[ae]r?|non[._-]?rispondere|niet[._-]?(?:be)?antwoorden|nie[._-]?odpowiadaj|"
    r"svar[._-]?ikke|svara[._-]?inte|(?:\w+[._-]|mailer)daemon|postmaster|"
    r"(?:.*[._+-])?bounces?(?:[._+=-].*)?|auto[._-]?(?:reply|mailer|confirm|response|notify)\w*|"
    r"(?:.*[._-])?notif(?:y|ier|ications?|ication)(?:[._+-].*)?|notificaciones|notifiche|notificacoes|"
    r"benachrichtigung\w*|"
    r"(?:.*[._-])?alerts?|cron|nagios|monitoring|jenkins|jira|(?:.*[._-])?robot|(?:rss)?feeds?|calendar-notification|"
    r"(?:drive-)?shares-noreply|verification|verify",
)
_SHARED_BOX = re.compile(
    r"(?:.*[._-])?(?:tickets?|billing|orders?|receipts?|invoices?|invoicing|bookings?|reservations?|confirmations?|"
    r"payments?|statements?|shipping|shipment|tracking|delivery|security|accounts?|account-security|system|service|"
    r"reminders?|calendar|digest|reports?|summary|surveys?|feedback|welcome|hello|team|support|info|admin|root|"
    r"nobody|"
    r"webmaster|rechnung(?:en)?|buchung(?:en)?|bestellung(?:en)?|service-?center|facturas?|factures?|fatture|"
    r"pedidos?|"
    r"reservas?|commandes?|ordini|zamowienia|bestelling(?:en)?)(?:[._-].*)?"
)
_PUBLISHER = re.compile(
    r"(?:.*[._+#-])?(?:e?-?news(?:letters?|flash|mail|desk)?|mailings?|mailing-?list|marketing|promo(?:tion)?s?|"
    r"offers?|deals|"
    r"campaigns?|updates?|subscriptions?|subscribers?|subscribe|list-?manager|owner-announce|announce(?:ments?)?|"
    r"weekly|daily|tips|magazine|editors?|editorial|community|events?|webinars?|infomail|rundschreiben|angebote|"
    r"actualites|boletin|noticias|novedades|ofertas|offres|offerte|novidades|nieuwsbrief|nyhetsbrev|nyhedsbrev|"
    r"biuletyn|"
    r"bulten|eblast\w*|replies)(?:[._+#-].*)?"
)
_PUBLISHING_HOST = re.compile(
    r"(?:.*\.)?(?:e|em|email|emails|e-mail|news|newsletters?|mailings?|mailers?|mkt|marketing|campaigns?|promo|"
    r"offers?|"
    r"lists?|alerts?|notifications?|notify|enews|communications?|mc|ummail\d*|click|send|bulk)\d*\.[^.]+\..+"
)

_AUTOMATIC_REPLIES = {
    "en": r"auto(?:matic|mated)?[- ]?(?:reply|response|responder)|out[- ]of[- ](?:the[- ])?office|autoreply|"
    r"away from (?:my|the) (?:mail|office|desk)|on (?:vacation|holiday|annual leave|parental leave)\b.{0,20}$",
    "de": r"automatische (?:antwort|abwesenheit\w*)|abwesenheits(?:notiz|meldung|nachricht|assistent)|abwesend\b|"
    r"nicht im (?:büro|haus)|außer haus",
    "fr": r"réponse automatique|absence du bureau|message d['’]absence|absent du bureau|réponse d['’]absence",
    "es": r"respuesta automática|fuera de (?:la )?oficina|ausencia de (?:la )?oficina|autorrespuesta",
    "it": r"risposta automatica|fuori (?:sede|ufficio)|assenza dall['’]ufficio|messaggio di assenza",
    "pt": r"resposta automática|fora do escritório|ausência temporária|fora de escritório",
    "nl": r"automatisch(?:e)? (?:antwoord|beantwoording|reactie)|afwezig(?:heid)?\b|niet op kantoor|out-of-office",
    "sv": r"autosvar|automatiskt svar|frånvaro\b|inte på kontoret",
    "da": r"automatisk svar|autosvar|ikke til stede|fravær\b|ikke på kontoret",
    "no": r"automatisk svar|fraværsmelding|fraværsassistent",
    "fi": r"automaattinen vastaus|poissa toimistosta|poissaoloviesti",
    "pl": r"automatyczna odpowiedź|odpowiedź automatyczna|autoodpowiedź|nieobecność|poza biurem",
    "cs": r"automatická odpověď|nepřítomnost|mimo kancelář",
    "hu": r"automatikus válasz|házon kívül",
    "ro": r"răspuns automat|în afara biroului",
    "tr": r"otomatik (?:yanıt|cevap)|ofis dışında",
    "el": r"αυτόματη απάντηση|εκτός γραφείου",
    "ru": r"автоматический ответ|автоответ\w*|нет на месте|вне офиса|отсутствую",
    "uk": r"автоматична відповідь",
    "zh": r"自动(?:答复|回复|回覆)|自動(?:答覆|回覆|回應)|不在办公室|外出",
    "ja": r"自動(?:応答|返信|送信)|不在(?:通知|のお知らせ|連絡)|休暇中",
    "ko": r"자동 ?(?:회신|응답|답장)|부재 ?중",
    "ar": r"رد تلقائي|خارج المكتب",
    "he": r"תשובה אוטומטית|מענה אוטומטי|מחוץ למשרד",
}
_NOT_DELIVERED = {
    "en": r"undeliver(?:ed|able)\b|delivery (?:status notification|failure|has failed|delayed|incomplete)|"
    r"mail delivery (?:failed|failure|subsystem|system)|(?:delivery )?failure notice|returned mail\b|"
    r"message (?:not delivered|undeliverable|delivery failure)|failed mail\b|(?:warning\W+)?(?:mail|message|e-mail) "
    r"(?:delayed|still)|delayed mail|could not send message|warning: could not send",
    "de": r"unzustellbar|nicht zustellbar|zustellung fehlgeschlagen|fehlgeschlagene zustellung|"
    r"übermittlung fehlgeschlagen",
    "fr": r"non remis|échec de (?:la )?remise|non distribuable|échec de distribution|courrier non remis",
    "es": r"no se (?:puede|pudo|ha podido) entregar|no entregado|error de entrega|mensaje no entregado",
    "it": r"non recapitabile|impossibile recapitare|recapito non riuscito|mancato recapito|mancata consegna",
    "pt": r"não (?:é possível|foi possível) entregar|não entregue|falha na entrega|mensagem não entregue",
    "nl": r"onbestelbaar|niet bezorgd|bezorging mislukt|kan niet worden bezorgd",
    "sv": r"olevererbart|kunde inte levereras|det går inte att leverera",
    "da": r"ikke leveret|kan ikke leveres",
    "pl": r"niedostarczone|nie można dostarczyć|niedostarczalne|błąd dostarczania",
    "tr": r"teslim edilemedi|iletilemedi|teslim edilemez",
    "ru": r"не доставлено|недоставленное|не удалось доставить|сообщение не доставлено|недоставляемое",
    "zh": r"无法送达|未送达|退信|邮件投递失败|無法傳遞|未傳遞的主旨",
    "ja": r"配信不能|配信できませんでした|配送エラー|未配信",
    "ko": r"배달되지 않음|전송 실패|배달할 수 없음|반송",
}
_NOTICES = {
    "en": r"accepted|declined|tentative(?:ly accepted)?|cancel(?:l)?ed|read|not read|recall|event (?:accepted|"
    r"declined)|"
    r"updated invitation|canceled event",
    "de": r"zugesagt|abgesagt|abgelehnt|mit vorbehalt(?: zugesagt)?|angenommen|gelesen|ungelesen gelöscht|"
    r"nicht gelesen",
    "fr": r"accepté|refusé|provisoire|annulé|lu|non lu",
    "es": r"aceptad[ao]|rechazad[ao]|provisional|cancelad[ao]|leído|no leído",
    "it": r"accettato|rifiutato|provvisorio|annullato|letto|non letto",
    "pt": r"aceit[eoa]|recusad[oa]|tentativa|provisório|cancelad[oa]|lida|lido|não lid[ao]",
    "nl": r"geaccepteerd|afgewezen|geweigerd|voorlopig|geannuleerd|gelezen|niet gelezen",
    "sv": r"accepterat|avböjt|preliminärt|avbokat|läst|oläst",
    "da": r"accepteret|afvist|foreløbig|aflyst|læst",
    "pl": r"zaakceptowano|odrzucono|niepewne|wstępna akceptacja|anulowano|odwołano|przeczytano",
    "tr": r"kabul edildi|reddedildi|belirsiz|iptal edildi|okundu",
    "ru": r"принято|отклонено|под вопросом|отменено|прочитано|не прочитано",
    "zh": r"已接受|已拒绝|暂定|已取消|已读|已謝絕",
    "ja": r"承諾|承認済み|辞退|仮承諾|仮の予定|キャンセル(?:済み)?|開封済み",
    "ko": r"수락됨|거절됨|미정|취소됨|읽음",
}
_TRANSACTIONS = {
    "en": r"your (?:\w+ ){0,2}(?:order|booking|invoice|receipt|ticket|reservation|payment|subscription|account|"
    r"password|"
    r"statement|shipment|delivery|parcel|package|itinerary|trip|code|pipeline|report)\b|order (?:confirmation|number|"
    r"#)|"
    r"(?:booking|payment|registration|e-?mail) confirm\w+|confirm your\b|verif(?:y|ication)\b|(?:sign-?in|"
    r"login) (?:code|attempt|alert)|"
    r"security (?:alert|code)|password (?:reset|change)|reset your|has (?:been )?(?:signed|shipped|approved|"
    r"dispatched)|"
    r"(?:approved|rejected|reminder|invoice|receipt)\b.{0,3}[:#]|one-time|(?:weekly|daily|monthly) (?:report|digest|"
    r"summary)",
    "de": r"ihre? (?:\w+ ){0,2}(?:bestellung|buchung|rechnung|reservierung|zahlung|sendung|lieferung|ausweis\w*|"
    r"konto\w*|"
    r"passwort)\b|(?:bestell|buchungs|zahlungs|anmelde|auftrags)bestätigung|bestätigungscode|passwort zurücksetzen",
    "fr": r"votre (?:\w+ ){0,2}(?:commande|réservation|facture|paiement|colis|compte|mot de passe)\b|"
    r"confirmation (?:de|d['’])",
    "es": r"(?:su|tu) (?:\w+ ){0,2}(?:pedido|reserva|factura|pago|envío|cuenta|contraseña)\b|confirmación de",
    "it": r"(?:il tuo|la tua|il suo|la sua) (?:\w+ ){0,2}(?:ordine|prenotazione|fattura|pagamento|spedizione|account|"
    r"password)\b|"
    r"conferma (?:d['’]ordine|di|della|del)",
    "pt": r"(?:seu|sua|o seu|a sua) (?:\w+ ){0,2}(?:pedido|reserva|fatura|pagamento|encomenda|conta|senha)\b|"
    r"confirmação d[eao]",
    "nl": r"(?:je|uw) (?:\w+ ){0,2}(?:bestelling|boeking|factuur|reservering|betaling|pakket|account|wachtwoord)\b|"
    r"bevestiging van",
    "pl": r"(?:twoje|twoja|państwa) (?:\w+ ){0,2}(?:zamówienie|rezerwacja|faktura|płatność|konto|hasło)\b|"
    r"potwierdzenie",
    "tr": r"sipariş\w*|rezervasyon\w*|fatura\w*|doğrulama kodu",
    "ru": r"ваш\w* (?:\w+ ){0,2}(?:заказ|бронирование|счет|счёт|платеж|аккаунт|пароль)|подтверждени[ея]|"
    r"код подтверждения",
    "zh": r"您的(?:订单|預訂|预订|账单|验证码|帳戶)|验证码|訂單確認|订单确认",
    "ja": r"ご注文|ご予約|注文確認|確認コード|認証コード|お支払い",
    "ko": r"주문 ?확인|예약 ?확인|인증 ?번호|결제",
}
_NOT_READ = {
    "en": r"(?:do|please do) not (?:reply|respond)(?: directly)? to this|(?:mailbox|inbox|address|account) is (?:not|"
    r"un)\s?"
    r"(?:monitored|read|attended)|unmonitored (?:mailbox|inbox|address)|automat(?:ed|ically|ic) (?:generated )?"
    r"(?:e-?mail|message|notification|generated|sent)|replies (?:to this (?:e-?mail|message|address) )?(?:are|"
    r"will) not|"
    r"please do not reply",
    "de": r"antworten sie (?:bitte )?nicht auf diese|bitte (?:nicht|antworten sie nicht) auf diese|"
    r"automatisch (?:generiert|erstellt|"
    r"versendet|erzeugt)\w*|nicht auf diese (?:e-?mail|nachricht) (?:zu )?antworten|wird nicht gelesen",
    "fr": r"ne (?:pas )?répond\w+ (?:pas )?à ce|(?:e-?mail|message|courriel) (?:automatique|généré automatiquement|"
    r"envoyé "
    r"automatiquement)|merci de ne pas répondre",
    "es": r"no (?:responda|respondas|conteste|contestes|responder) (?:a )?est[ea]|(?:correo|mensaje) (?:automático|"
    r"generado "
    r"automáticamente)|generado automáticamente",
    "it": r"non rispondere (?:a|al)|(?:messaggio|e-?mail|mail) (?:automatic[oa]|generat[oa] automaticamente)|"
    r"si prega di non rispondere",
    "pt": r"não responda (?:a )?est[ea]|(?:e-?mail|mensagem) automátic[oa]|gerad[oa] automaticamente|"
    r"favor não responder",
    "nl": r"(?:niet|gelieve niet) (?:op dit bericht|op deze e-?mail|te antwoorden|beantwoorden)|"
    r"automatisch (?:gegenereerd|verzonden|bericht)",
    "sv": r"(?:svara inte på|går inte att svara på) (?:detta|det här)|automatiskt (?:meddelande|skapat|genererat)",
    "da": r"(?:svar ikke|besvar ikke|kan ikke besvares)|automatisk (?:genereret|besked|udsendt)",
    "pl": r"nie odpowiada\w* na (?:tę|ten)|prosimy nie odpowiadać|wygenerowan\w+ automatycznie|"
    r"automatycznie wygenerowan\w+",
    "tr": r"(?:lütfen )?bu (?:e-?postayı|iletiyi|mesajı) yanıtlamayın|otomatik olarak (?:oluşturul|gönderil)\w+",
    "ru": r"не отвечайте на это|автоматически(?:м| сгенерирован| отправлен| создан)\w*|отправлено автоматически|"
    r"автоматическое (?:сообщение|письмо|уведомление)",
    "zh": r"请勿(?:直接)?回复|請勿(?:直接)?回覆|系统自动(?:发送|生成)|系統自動(?:發送|產生)",
    "ja": r"返信(?:しないで|いただいても|はできません|不可)|自動(?:的に)?(?:配信|送信|生成)|送信専用",
    "ko": r"발신 ?전용|회신(?:하지|되지)|자동(?:으로)? ?(?:발송|생성)",
}
_UNSUBSCRIBE = {
    "en": r"unsubscribe|opt[- ]?out\b|(?:manage|update|change|edit|modify|email) (?:your )?(?:e-?mail |mailing |"
    r"communication |"
    r"subscription |newsletter |account |my )*(?:preferences|settings|subscriptions?|list options|"
    r"subscriber information)|"
    r"subscription changes|stop receiving|(?:be )?removed? (?:\w+ )?from (?:this|our|the) (?:mailing |e-?mail )*list|"
    r"no longer (?:wish|want|like) to receive|leave (?:the|this) (?:club|list|newsletter)|"
    r"(?:cancel|change|end) (?:your |this )?subscription|(?:add|delete|remove) yourself|turn off notifications",
    "de": r"abbestellen|abmelden|austragen|newsletter[- ]?(?:abmeldung|einstellungen)|vom newsletter|"
    r"nicht mehr (?:erhalten|empfangen)|"
    r"e-?mail-?einstellungen",
    "fr": r"désabonn\w+|désinscri\w+|se désinscrire|gérer (?:vos|mes) (?:préférences|abonnements)|ne plus recevoir",
    "es": r"darse de baja|darte de baja|dar(?:me|se)? de baja|cancelar (?:la |tu |su )?suscripción|"
    r"anular (?:la )?suscripción|desuscri\w+|"
    r"preferencias de (?:correo|e-?mail|suscripción)|dejar de recibir",
    "it": r"disiscriv\w+|annulla(?:re)? l['’ ]?iscrizione|cancella(?:re|rsi|ti)? (?:la |l['’ ]?)?(?:iscrizione|"
    r"dalla newsletter|dalla lista)|"
    r"gestisci (?:le )?preferenze|non (?:ricevere|desideri ricevere) più",
    "pt": r"cancelar (?:a )?(?:inscrição|assinatura|subscrição)|descadastr\w+|anular (?:a )?subscrição|"
    r"remover (?:a )?(?:inscrição|subscrição)|"
    r"gerenciar preferências|deixar de receber",
    "nl": r"uitschrijven|afmelden|voorkeuren (?:aanpassen|wijzigen|beheren)|niet langer ontvangen|geen (?:e-?mails|"
    r"nieuwsbrief) meer",
    "sv": r"avregistrera|avprenumerera|avsluta prenumeration\w*|avanmäl\w+",
    "da": r"afmeld\w*|afmelding|frameld\w*|opsig abonnement",
    "no": r"meld deg av|avmeld\w*|avslutt abonnement\w*",
    "fi": r"peruuta tilaus|peru (?:uutiskirje\w*|tilaus\w*)|lopeta tilaus|poistu listalta",
    "pl": r"wypis\w+ si[ęe]|anuluj subskrypcj\w+|rezygn\w+ z (?:subskrypcji|newslettera)|zrezygnuj|"
    r"zarządzaj (?:preferencjami|subskrypcj\w+)",
    "cs": r"odhlásit|odhlášení|zrušit odběr",
    "hu": r"leiratkoz\w+",
    "ro": r"dezabon\w+",
    "tr": r"abonelikten (?:çık\w*|ayrıl\w*)|aboneliği (?:iptal|sonlandır)\w*|listeden çık\w*|üyelikten çık\w*",
    "el": r"διαγραφή από|απεγγραφή|κατάργηση εγγραφής",
    "ru": r"отписаться|отписка|отказаться от (?:рассылки|подписки)|настройки рассылки|управл\w+ подпиской",
    "uk": r"відписатися|відмовитися від розсилки",
    "zh": r"退订|取消订阅|退訂|取消訂閱|管理订阅",
    "ja": r"配信停止|配信解除|購読(?:解除|停止|の中止)|登録解除|メルマガ(?:解除|の解除)|退会",
    "ko": r"수신 ?거부|구독 ?(?:취소|해지)|수신을 원치|수신 ?설정",
    "ar": r"إلغاء الاشتراك|الغاء الاشتراك",
    "he": r"להסרה|הסרה מרשימת|ביטול הרשמה|הסר אותי",
}
_BY_SUBSCRIPTION = {
    "en": r"(?:you(?:'re|’re| are)? |this (?:e-?mail|message) was )?(?:receiv\w+|sent|getting|got) (?:this|to|it|the|"
    r"our) .{0,80}?"
    r"(?:because|as (?:a|you)|since) .{0,60}?(?:subscri|sign|opt|regist|member|joined|asked|list)|"
    r"you(?:'re|’re| are) (?:currently )?subscribed|you (?:have )?(?:subscribed|signed up) (?:to|for|with)|"
    r"(?:view|read|see|open|display) (?:this |it |the |our )?(?:e-?mail |message |newsletter |mail |"
    r"issue )*(?:online|on the web|in (?:a |your |the )?(?:web ?)?"
    r"browser)|(?:can(?:'t|’t|not)|trouble|problems?|having difficulty) (?:read|view|see|display)\w* (?:this|the)|"
    r"not displaying (?:properly|correctly)|"
    r"all rights reserved|sent (?:to|by) .{0,40}? on behalf of|subscribe (?:to|now|here)|"
    r"forward (?:this )?to a friend|"
    r"view this newsletter|privacy (?:policy|statement)",
    "de": r"(?:im|in ihrem|in deinem) browser (?:an|öffnen|ansehen|anzeigen|lesen)\w*|online ?(?:ansehen|lesen|"
    r"version)|"
    r"sie (?:erhalten|bekommen) (?:diese|diesen|dieses) .{0,60}?(?:weil|da|als)|wenn sie diese (?:e-?mail|"
    r"nachricht) nicht",
    "fr": r"(?:voir|consulter|lire|afficher|ouvrir) .{0,40}?(?:en ligne|navigateur)|version en ligne|"
    r"vous recevez (?:cet|ce|cette)",
    "es": r"(?:ver|leer|abrir) .{0,40}?(?:en línea|online|navegador)|ha(?:s)? recibido este|"
    r"recibe[s]? este (?:correo|e-?mail|mensaje)",
    "it": r"(?:visualizza|leggi|apri|vedi) .{0,40}?(?:online|browser)|ricevi questa|hai ricevuto questa",
    "pt": r"(?:ver|visualizar|ler|abrir) .{0,40}?(?:online|navegador)|você (?:está recebendo|recebeu) est[ea]|"
    r"recebeu est[ea]",
    "nl": r"(?:bekijk|lees|open) .{0,40}?(?:online|browser)|u ontvangt (?:deze|dit)|je ontvangt (?:deze|dit)|"
    r"online versie",
    "sv": r"(?:visa|läs|öppna|se) .{0,40}?(?:online|webbläsare\w*|på webben)|du får (?:detta|det här)",
    "da": r"(?:vis|læs|se) .{0,40}?(?:online|browser\w*)|du modtager (?:denne|dette)",
    "pl": r"(?:zobacz|wyświetl|otwórz|czytaj) .{0,40}?(?:online|przeglądarce)|otrzymujesz (?:tę|ten|tego)|"
    r"otrzymał[ea]ś (?:tę|ten)",
    "tr": r"tarayıcı\w* (?:görüntüle|aç)\w*|bu (?:e-?postayı|iletiyi) .{0,40}?alıyorsunuz|çevrimiçi görüntüle",
    "ru": r"(?:открыть|посмотреть|просмотреть|смотреть|читать) .{0,40}?(?:в браузере|онлайн)|вы получили это|"
    r"вы получаете",
    "zh": r"在浏览器中(?:查看|打开|阅读)|在瀏覽器中|您收到(?:此|这|這|本)",
    "ja": r"ブラウザ(?:で|ー)|(?:この|本)メール(?:は|を).{0,40}?(?:登録|ご利用|お送りして|配信して)",
    "ko": r"브라우저에서|웹에서 보기|본 메일은|이 메일은 .{0,40}?(?:동의|가입|발송)",
}

_LISTED_LINK = re.compile(r"\[\d{1,6}\] |\s*\Z")
_UNSUBSCRIBE_ADDRESS = re.compile(
    r"https?[^\s]{0,400}?(?:unsub|opt[-_]?out|/leave/|/abmeld|/austrag|abbestell|desinscri|desabon|preferences?\b|"
    r"list-manage|"
    r"/u/[\w-]+|email[-_]?settings|manage[-_]?subscr|subscriptions?\b|/optin|disiscri|uitschrijv|afmeld|/baja\b)",
    re.IGNORECASE,
)
_BY_MAIL = re.compile(
    r"(?:unsubscribe|leave|removed).{0,80}?\b(?:send(?:ing)?|mail|write|e-?mailing)\b|from this group\b|mailman|"
    r"listinfo|majordomo|\(?un\)?subscription information"
)
"""How discussion lists are left, whose mail people write."""


_QUESTION = re.compile("[?？؟]")


def kind_of(sender: str, subject: str, reading: Reading) -> Kind:
    """Return the kind of a message; a person's where it is not sure.

    An answer or forwarded mail is a person's, whatever it holds, unless a machine's address sent it.
    """
    is_asked = bool(_QUESTION.search(subject))  # which no machine does
    if not is_asked and (
        _starts(_AUTOMATIC_REPLIES, subject) or _starts(_NOT_DELIVERED, subject) or _is_notice(subject, reading)
    ):
        return Kind.AUTOMATIC
    local, _, host = sender.lower().rpartition("@")
    points = _points_of_address(local, host)
    if not _ANSWER.match(subject) and not is_shared(host):
        for kind, more in _points_of_text(subject, reading).items():
            points[kind] += more
    likeliest = max(points, key=lambda kind: points[kind])
    return likeliest if points[likeliest] >= _ENOUGH else Kind.PERSON


def is_undelivered(subject: str) -> bool:
    """Return whether a subject says that a message could not be delivered."""
    return _starts(_NOT_DELIVERED, subject)


def speaks_of_subscription(line: str) -> bool:
    """Return whether a line is about the mailing itself: how to leave it, why it comes, where to see it online."""
    lowered = line.lower()
    return bool(_any(_UNSUBSCRIBE).search(lowered) or _any(_BY_SUBSCRIPTION).search(lowered))


def _points_of_address(local: str, host: str) -> dict[Kind, int]:
    publishing = bool(_PUBLISHER.fullmatch(local)) or "newsletter" in host
    return {
        Kind.NEWSLETTER: 2 * publishing + bool(_PUBLISHING_HOST.fullmatch(host)),
        Kind.AUTOMATIC: 3 if _MACHINE.fullmatch(local) else 1 if _SHARED_BOX.fullmatch(local) else 0,
    }


def _points_of_text(subject: str, reading: Reading) -> dict[Kind, int]:
    ends = _ends(reading)
    links = (len(reading.links) >= _MANY_LINKS) + (len(reading.links) >= _VERY_MANY_LINKS)
    preheader = reading.hidden_chars >= _PREHEADER
    return {
        Kind.NEWSLETTER: 2 * _leaves(ends, reading) + bool(_any(_BY_SUBSCRIPTION).search(ends)) + links + preheader,
        Kind.AUTOMATIC: 2 * bool(_any(_NOT_READ).search(ends)) + _starts(_TRANSACTIONS, subject) + preheader,
    }


def _ends(reading: Reading) -> str:
    """The beginning and the end of what a message says, in one line and without the list of its links."""
    text = "\n".join(_without_link_list(part) for part in (reading.text, reading.signature) if part)
    ends = text if len(text) <= _BEGINNING + _END else f"{text[:_BEGINNING]}\n{text[-_END:]}"
    return " ".join(ends.lower().split())


def _without_link_list(text: str) -> str:
    end = len(text)
    while end > 0 and _LISTED_LINK.match(text, start := text.rfind("\n", 0, end) + 1, end):
        end = start - 1
    return text[: max(end, 0)]


def _leaves(ends: str, reading: Reading) -> bool:
    """Whether a message says how to get no more of its kind, by a link."""
    if any(_UNSUBSCRIBE_ADDRESS.match(link.url) for link in reading.links):
        return True
    if not _any(_UNSUBSCRIBE).search(ends) or _BY_MAIL.search(ends):
        return False
    return bool(reading.links) or "//" in ends


def _is_notice(subject: str, reading: Reading) -> bool:
    """Whether a calendar or a mail program answered for a person, who wrote nothing to it."""
    about_an_event = any("calendar" in note for note in reading.notes)
    longest = _LONGEST_NOTICE if about_an_event else 0
    return _starts(_NOTICES, subject, r"\s*[:：]") and len(reading.text.strip()) <= longest


def _starts(table: Mapping[str, str], subject: str, after: str = "") -> bool:
    return _beginning(tuple(table.values()), after).match(subject.lower()) is not None


@lru_cache
def _beginning(forms: tuple[str, ...], after: str) -> re.Pattern[str]:
    return re.compile(rf"[\W_]*(?:{'|'.join(forms)}){after}")


def _any(table: Mapping[str, str]) -> re.Pattern[str]:
    return _anywhere(tuple(table.values()))


@lru_cache
def _anywhere(forms: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(forms))
